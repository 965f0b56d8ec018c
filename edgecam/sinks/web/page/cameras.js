// Several cameras on one page: a picture of each, one after the other as fast as it comes, at most two a second.
// Still pictures and not streams: an <img> does not say when its stream has ended.
import { $, classed, element, getJson, named, text } from "./dom.js";

const EVERY = 500; // ms from picture to picture
const AFTER_TROUBLE = 3000;

function add({ name, page, picture }) {
  const image = element("img");
  image.alt = `Live picture of ${name}`;
  const trouble = element("span", "Connecting");
  trouble.setAttribute("role", "status");
  const frame = classed("div", "frame empty", image, trouble);
  const title = named("strong");
  text(title, name);
  const link = element("a", frame, title);
  link.href = page;
  $("grid").append(element("li", link));

  let began = 0;
  let number = 0;
  const next = () => {
    if (document.hidden) return setTimeout(next, EVERY);
    began = performance.now();
    image.src = `${picture}${picture.includes("?") ? "&" : "?"}n=${++number}`;
  };
  image.addEventListener("load", () => {
    frame.classList.remove("gone", "empty");
    text(trouble, "");
    setTimeout(next, Math.max(0, EVERY - (performance.now() - began)));
  });
  image.addEventListener("error", () => {
    frame.classList.add("gone");
    text(trouble, "No picture");
    setTimeout(next, AFTER_TROUBLE);
  });
  next();
}

const { cameras } = await getJson("api/cameras");
add({ name: "This camera", page: "./", picture: "snapshot.jpg" });
cameras.forEach(add);
