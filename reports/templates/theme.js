/* The theme: the system's until its button is pressed, light on paper. Tells the charts by a `theme` event. */
(function () {
  "use strict";
  var root = document.documentElement;
  var system = matchMedia("(prefers-color-scheme: dark)");

  function set(name) {
    if (name) root.dataset.theme = name; else delete root.dataset.theme;
    document.dispatchEvent(new Event("theme"));
  }

  document.getElementById("theme").addEventListener("click", function () {
    var dark = root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
    set(dark ? "light" : "dark");
  });
  system.addEventListener("change", function () { set(root.dataset.theme); });
  var onScreen;
  addEventListener("beforeprint", function () { onScreen = root.dataset.theme; set("light"); });
  addEventListener("afterprint", function () { set(onScreen); });
})();
