const root = document.documentElement, note = document.getElementById("status");
const dark = () => (root.dataset.look || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
document.getElementById("look").addEventListener("click", () => { root.dataset.look = dark() ? "light" : "dark"; });
// A finger cannot hover: what is tapped is shown below.
document.addEventListener("click", event => {
  const spot = event.target.closest("[title], .cell");
  const title = spot && (spot.getAttribute("title") || spot.querySelector("title")?.textContent);
  note.textContent = title || "";
});
