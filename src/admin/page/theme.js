/** Sets the theme before anything is drawn. Not a module: it has to run first. */
(() => {
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be forbidden: the theme of the system it is.
  }
})();
