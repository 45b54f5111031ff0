// A day in words as the server sends them. To abort the request cancels the work on the server.
const form = document.querySelector("form[data-stream]");
const text = document.querySelector("#text");
const cancel = form.querySelector(".cancel");
let request = null;

// EventSource only gets; this reads the same events from a POST.
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (let read; !(read = await reader.read()).done; ) {
    const blocks = (waiting + read.value).split("\n\n");
    waiting = blocks.pop();
    for (const block of blocks) {
      const lines = block.split("\n");
      const all = (name) => lines.filter((x) => x.startsWith(`${name}: `)).map((x) => x.slice(name.length + 2));
      yield { event: all("event")[0] ?? "message", data: all("data").join("\n") };
    }
  }
}

cancel.addEventListener("click", () => request?.abort());
form.addEventListener("submit", async (submitted) => {
  submitted.preventDefault();
  request?.abort();
  const mine = (request = new AbortController());
  text.textContent = "";
  cancel.hidden = false;
  // A screen reader waits, rather than begin anew at each word.
  text.setAttribute("aria-busy", "true");
  let whole = false;
  try {
    const options = { method: "POST", body: new FormData(form), signal: mine.signal };
    for await (const { event, data } of events(await fetch(form.dataset.stream, options))) {
      if (event === "message") text.textContent += data;
      whole ||= event === "end";
    }
  } catch (error) {
    if (!mine.signal.aborted) console.error(error);
  }
  if (request !== mine) return;
  cancel.hidden = true;
  text.removeAttribute("aria-busy");
  if (!whole) text.textContent += mine.signal.aborted ? "… (canceled)" : "… (the server broke off)";
});

// What became of it on the server, which says so itself.
const said = document.querySelector("#endings");
said.hidden = false;
new EventSource(said.dataset.stream).addEventListener("ended", (event) => {
  const { day, words, whole } = JSON.parse(event.data);
  const line = document.createElement("li");
  line.textContent = `${day}: the generator ended ${whole ? "by itself" : "because its reader had gone"}, after ${words} words.`;
  said.querySelector("ul").prepend(line);
});
