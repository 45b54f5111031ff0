// What is left of each calendar, as others order; without scripts it is what the page came with.
const shelf = document.querySelector("[data-stream]");
if (shelf) {
  const source = new EventSource(shelf.dataset.stream);
  source.addEventListener("stock", (event) => {
    const { calendar, left } = JSON.parse(event.data);
    const card = shelf.querySelector(`[data-calendar="${calendar}"]`);
    // Of two orders at once the later one may tell first: copies never get more.
    if (!card || left >= Number(card.dataset.stock)) return;
    card.dataset.stock = left;
    card.classList.toggle("gone", !left);
    card.querySelector(".count").textContent = left ? `${left} left` : "sold out";
  });
  // The server was started anew, or the break was too long: what was missed is not to be had.
  source.addEventListener("stream-reset", () => location.reload());
}
