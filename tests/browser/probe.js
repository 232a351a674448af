/* Opens /report.html in a frame of each of WIDTHS, looks at it as a reader would, and posts what it saw. */
(async function () {
  function frames(n) {
    return new Promise(function (done) {
      (function next() { return n-- ? requestAnimationFrame(next) : done(); })();
    });
  }

  function painted(doc) {
    var canvas = doc.querySelector("#timeline canvas");
    if (!canvas) return null;
    // a copy: reading the page's own canvas would draw Chromium's warning about slow reads into its console
    var copy = document.createElement("canvas");
    copy.width = canvas.width;
    copy.height = canvas.height;
    var context = copy.getContext("2d", { willReadFrequently: true });
    context.drawImage(canvas, 0, 0);
    var data = context.getImageData(0, 0, copy.width, copy.height).data;
    var colours = new Map();
    for (var i = 0; i < data.length; i += 4) {
      if (data[i + 3] < 250) continue;
      var key = data[i] + "," + data[i + 1] + "," + data[i + 2];
      colours.set(key, (colours.get(key) || 0) + 1);
    }
    var most = Array.from(colours).sort(function (a, b) { return b[1] - a[1]; });
    return { width: canvas.width, shown: canvas.getBoundingClientRect().width, opaque: most.reduce(function (sum, c) { return sum + c[1]; }, 0), colours: most.slice(0, 8).map(String) };
  }

  var swatch = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  function rgba(colour) {
    swatch.clearRect(0, 0, 1, 1);
    swatch.fillStyle = colour;
    swatch.fillRect(0, 0, 1, 1);
    return Array.from(swatch.getImageData(0, 0, 1, 1).data);
  }
  function luminance(c) {
    var parts = c.slice(0, 3).map(function (v) { v /= 255; return v <= 0.04045 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4); });
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  }
  function behind(view, element) {
    for (var at = element; at; at = at.parentElement) {
      var colour = rgba(view.getComputedStyle(at).backgroundColor);
      if (colour[3] > 250) return colour;
    }
    return [255, 255, 255, 255];
  }
  // WCAG 2: 4.5 to 1, or 3 to 1 where the type is large
  function faint(frame) {
    var view = frame.contentWindow, found = [];
    Array.from(frame.contentDocument.body.querySelectorAll("*")).forEach(function (element) {
      var own = Array.from(element.childNodes).filter(function (n) { return n.nodeType === 3 && n.data.trim(); });
      if (!own.length || /SCRIPT|STYLE|NOSCRIPT|OPTION/.test(element.tagName) || !element.getClientRects().length) return;
      var style = view.getComputedStyle(element);
      var size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      var ink = luminance(rgba(style.color)), paper = luminance(behind(view, element));
      var ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
      if (ratio < (large ? 3 : 4.5)) found.push(element.tagName + "." + element.className + " " + own[0].data.trim().slice(0, 30) + " " + ratio.toFixed(2));
    });
    return found;
  }

  function wide(frame) {
    var doc = frame.contentDocument, edge = doc.documentElement.clientWidth;
    return { scroll: doc.documentElement.scrollWidth, client: edge };
  }

  async function look(width) {
    var frame = document.createElement("iframe");
    frame.style.cssText = "border:0;height:1000px;width:" + width + "px";
    var loaded = new Promise(function (done) { frame.onload = done; });
    frame.src = "/report.html";
    document.body.appendChild(frame);
    await loaded;
    await frames(3);
    var doc = frame.contentDocument, view = frame.contentWindow;
    var answer = {
      width: width,
      overflow: wide(frame),
      canvas: painted(doc),
      page: view.getComputedStyle(doc.body).backgroundColor,
      faint: faint(frame),
      resources: view.performance.getEntriesByType("resource").map(function (r) { return r.name; }),
      plots: Array.from(doc.querySelectorAll(".plot svg")).map(function (svg) { return svg.getBoundingClientRect().width; }),
      alerted: view.alerted === true
    };
    var plot = doc.getElementById("timeline");
    if (plot) {
      plot.dispatchEvent(new view.KeyboardEvent("keydown", { key: "Home", bubbles: true }));
      plot.dispatchEvent(new view.KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
      await frames(2);
      answer.read = Array.from(doc.querySelectorAll("#keys .at")).map(function (at) { return at.textContent; });
      var keys = doc.querySelectorAll("#keys button");
      keys[keys.length - 1].click();
      await frames(2);
      answer.pressed = keys[keys.length - 1].getAttribute("aria-pressed");
      answer.without = painted(doc);
      keys[keys.length - 1].click();
    }
    doc.getElementById("theme").click();
    await frames(3);
    answer.switched = { page: view.getComputedStyle(doc.body).backgroundColor, canvas: painted(doc), faint: faint(frame) };
    Array.from(doc.querySelectorAll("details")).forEach(function (d) { d.open = true; });
    await frames(2);
    answer.opened = { overflow: wide(frame), faint: faint(frame) };
    frame.remove();
    return answer;
  }

  var answers = [];
  for (var i = 0; i < WIDTHS.length; i++) answers.push(await look(WIDTHS[i]));
  await fetch("/", { method: "POST", body: JSON.stringify(answers) });
})();
