// Shows a film in a dialog, and after it the next one, where there is one.
import { $, text } from "./dom.js";

let following = null;

// film: { address, title }; next() gives the film that follows, or nothing.
export function play(film, next = () => null) {
  following = next;
  show(film);
  $("player").showModal();
}

function show({ address, title }) {
  const film = $("film");
  text("player-title", title);
  $("film-trouble").hidden = true;
  film.hidden = false;
  film.src = address;
  $("film-link").href = address;
  film.play().catch(() => {});
}

export function startPlayer() {
  const [dialog, film] = [$("player"), $("film")];
  film.addEventListener("error", () => {
    if (!dialog.open) return;
    film.hidden = true;
    $("film-trouble").hidden = false;
  });
  film.addEventListener("ended", () => {
    const next = following?.();
    if (next && dialog.open) show(next);
  });
  dialog.addEventListener("close", () => {
    following = null;
    film.pause();
    film.removeAttribute("src");
    film.load(); // lets the connection go
  });
  $("player-close").addEventListener("click", () => dialog.close());
}
