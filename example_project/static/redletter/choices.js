// A box to type into above a long list of checkboxes; without scripts the list is simply there.
for (const field of document.querySelectorAll(".choices")) {
  const box = document.createElement("input");
  box.type = "search";
  box.className = "choices-filter";
  box.placeholder = "Type to find a country";
  box.setAttribute("aria-label", "Find a country");
  const labels = [...field.querySelectorAll("label:has(input)")];
  box.addEventListener("input", () => {
    const wanted = box.value.trim().toLowerCase();
    for (const label of labels) {
      const checked = label.querySelector("input").checked;
      label.parentElement.hidden = !checked && !label.textContent.toLowerCase().includes(wanted);
    }
  });
  // Enter finds, it does not send the form.
  box.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
  labels[0]?.parentElement.parentElement.before(box);
}
