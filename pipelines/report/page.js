"use strict";
const by = (id) => document.getElementById(id);
const cards = [...document.querySelectorAll(".card")];
const filters = ["text", "group", "folder", "status", "reason"].map(by);

function isShown(card) {
  const [text, group, folder, status, reason] = filters.map((each) => each.value);
  const reasons = card.dataset.reasons.split(" ").filter(Boolean);
  return (
    card.dataset.text.includes(text.trim().toLowerCase()) &&
    (!group || card.dataset.group.split(" ").includes(group)) &&
    (!folder || card.dataset.folder === folder) &&
    (!status || card.dataset.status === status) &&
    (!reason || (reason === "*" ? reasons.length > 0 : reasons.includes(reason)))
  );
}

function filter() {
  for (const card of cards) card.hidden = !isShown(card);
  const count = cards.filter((card) => !card.hidden).length;
  by("count").textContent = `${count} of ${cards.length}`;
}

for (const each of filters) each.addEventListener("input", filter);
for (const slider of document.querySelectorAll(".pair input")) {
  slider.addEventListener("input", () => slider.parentElement.style.setProperty("--x", `${slider.value}%`));
}
document.addEventListener("keydown", (event) => {
  const isTyping = ["INPUT", "SELECT"].includes(document.activeElement.tagName);
  if (event.key === "/" && !isTyping) {
    event.preventDefault();
    by("text").focus();
  } else if (event.key === "Escape") {
    for (const each of filters) each.value = "";
    filter();
  }
});
by("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
});
filter();
