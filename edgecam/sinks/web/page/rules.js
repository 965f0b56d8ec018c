// Rules in the editor: what an event is. What is not shown here (sizes, anchor, ...) stays as the file has it.
import { button, classed, element } from "./dom.js";

// key: [label, step]
const NUMBERS = {
  min_score: ["Least score, 0 to 1", "0.05"], dwell: ["Stays for, seconds", "0.5"], cooldown: ["Pause after it, seconds", "1"],
};
const WAYS = { both: "both ways", in: "in", out: "out" };

export class Rules {
  // places() gives what is drawn now: [{ kind, name }].
  constructor(rules, labels, places) {
    this.rules = structuredClone(rules);
    this.labels = labels;
    this.places = places;
    this.list = element("ul");
    this.list.className = "rules";
    this.node = element("section", element("h3", "Rules"),
      classed("p", "note", "An event begins when an object of these labels is at the place. Several labels are separated by commas; none means any."),
      this.list, element("p", button("Add rule", () => this.add(), "plain")));
    this.render();
  }

  values() {
    return this.rules;
  }

  renamed(kind, before, after) {
    for (const rule of this.rules) if (rule[kind] === before) rule[kind] = after;
    this.render();
  }

  add() {
    const names = new Set(this.rules.map((rule) => rule.name));
    let number = 1;
    while (names.has(`rule ${number}`)) number += 1;
    this.rules.push({ name: `rule ${number}` });
    this.render();
    this.list.lastChild.querySelector("input").focus();
  }

  remove(index) {
    this.rules.splice(index, 1);
    this.render();
    this.node.querySelector(".rules button, p button").focus();
  }

  render() {
    this.list.replaceChildren(...this.rules.map((rule, index) => this.row(rule, index)));
  }

  row(rule, index) {
    const away = button("Remove", () => this.remove(index), "plain");
    away.setAttribute("aria-label", `Remove rule ${rule.name}`);
    const fields = [
      this.text("Name", index, "name", rule.name, (value) => { rule.name = value; }),
      this.where(rule, index),
      this.text("Labels", index, "labels", (rule.labels || []).join(", "), (value) => {
        set(rule, "labels", value.split(",").map((label) => label.trim()).filter(Boolean));
      }),
      ...Object.entries(NUMBERS).filter(([key]) => !(rule.line && key === "dwell")).map(([key, [label, step]]) => {
        const field = this.text(label, index, key, rule[key] ?? "", (value) => set(rule, key, value === "" ? undefined : Number(value)));
        Object.assign(field.querySelector("input"), { type: "number", step, inputMode: "decimal" });
        return field;
      }),
    ];
    if (rule.line) fields.push(this.direction(rule, index));
    const node = element("li", ...fields, away);
    node.setAttribute("role", "group");
    node.setAttribute("aria-label", `Rule ${rule.name}`);
    return node;
  }

  text(label, index, key, value, change) {
    const input = element("input");
    Object.assign(input, { type: "text", value, dir: "auto" });
    if (key === "labels" && this.labels.length) input.placeholder = `any, for example ${this.labels[0]}`;
    input.addEventListener("input", () => { change(input.value); calm(input); });
    return field(label, input, index, key);
  }

  where(rule, index) {
    const choice = element("select", new Option("the whole picture", ""),
      ...this.places().filter(({ kind }) => kind !== "mask").map(({ kind, name }) => new Option(`${kind} ${name}`, `${kind}:${name}`)));
    const kind = rule.line === undefined ? "zone" : "line";
    const now = rule[kind] === undefined ? "" : `${kind}:${rule[kind]}`;
    if (![...choice.options].some((option) => option.value === now)) choice.add(new Option(`${kind} ${rule[kind]}, which is not there`, now));
    choice.value = now;
    choice.addEventListener("change", () => {
      const [to, ...name] = choice.value.split(":");
      delete rule.zone;
      delete rule.line;
      if (to) rule[to] = name.join(":");
      for (const key of to === "line" ? ["dwell", "count"] : ["direction"]) delete rule[key]; // they do not go with it
      this.render();
      this.list.children[index].querySelector("select").focus();
    });
    return field("Where", choice, index, "where");
  }

  direction(rule, index) {
    const choice = element("select", ...Object.entries(WAYS).map(([value, words]) => new Option(words, value)));
    choice.value = rule.direction || "both";
    choice.addEventListener("change", () => set(rule, "direction", choice.value === "both" ? undefined : choice.value));
    return field("Direction", choice, index, "direction");
  }

  // Shows what is wrong at its field; whether there is one.
  blame({ kind, number, key }, words) {
    if (kind !== "rule") return false;
    const wanted = ["zone", "line"].includes(key) ? "where" : key;
    const input = this.list.children[number]?.querySelector(`[data-key="${wanted}"]`);
    if (!input) return false;
    // Which rule and which key is seen from where it stands.
    const note = classed("span", "trouble", words.replace(/^rule:? .*?: (?:\w+: )?/, ""));
    note.id = `trouble-${number}-${wanted}`;
    note.setAttribute("role", "alert");
    calm(input);
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", note.id);
    input.parentNode.append(note);
    input.focus();
    return true;
  }
}

function field(label, input, index, key) {
  input.dataset.key = key;
  return classed("label", `field ${key}`, element("span", label), input);
}

function calm(input) {
  input.removeAttribute("aria-invalid");
  input.removeAttribute("aria-describedby");
  input.parentNode?.querySelector(".trouble")?.remove();
}

function set(rule, key, value) {
  if (value === undefined || (Array.isArray(value) && !value.length)) delete rule[key];
  else rule[key] = value;
}
