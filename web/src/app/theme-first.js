// Runs before the first paint, so that a chosen theme does not flash. The page's
// policy allows no inline script; the build emits this file by itself, hashed.
try {
  var theme = localStorage.getItem("halley.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch (_) {
  // Storage may be closed to us: then the system's theme is right.
}
