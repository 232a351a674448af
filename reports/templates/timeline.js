/* The p99 chart: draws the page's own JSON with uPlot. Asks the network for nothing. */
(function () {
  "use strict";
  var HEIGHT = 290;
  var chart = null;
  var data = JSON.parse($("timeline-data").textContent);

  function $(id) { return document.getElementById(id); }

  // a custom property may be light-dark(…): only a used value is a colour that a canvas takes
  var probe = document.createElement("span");
  probe.hidden = true;
  document.body.appendChild(probe);
  function colour(name) {
    probe.style.color = "var(--" + name + ")";
    return getComputedStyle(probe).color;
  }

  function spell(ms) {
    if (ms == null) return "–";
    if (ms < 999.5) return (ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2)) + " ms";
    var s = ms / 1000;
    return (s < 9.995 ? s.toFixed(2) : s.toFixed(1)) + " s";
  }
  function isDecade(v) { return Math.abs(Math.log10(v) - Math.round(Math.log10(v))) < 1e-9; }
  // uPlot begins its own at the axis' low end, so that with a low end of 15 ms no line is a power of ten
  function logSplits(low, high) {
    var at = [];
    for (var e = Math.floor(Math.log10(low)); Math.pow(10, e) <= high; e++) {
      for (var factor = 1; factor < 10; factor++) {
        var v = Number((factor * Math.pow(10, e)).toPrecision(3));
        if (v >= low && v <= high) at.push(v);
      }
    }
    return at;
  }
  function decade(v) { return v >= 1000 ? v / 1000 + " s" : v + " ms"; }

  function draw() {
    var box = $("timeline");
    if (chart) chart.destroy();
    var muted = colour("muted"), gridline = colour("grid"), bad = colour("bad");
    var bandFill = colour("band"), tailFill = colour("band-tail"), bandInk = colour("band-ink");
    var font = "12px " + getComputedStyle(document.body).fontFamily;
    var bold = "600 " + font;
    var ratio = window.devicePixelRatio || 1;

    function bands(u) {
      var c = u.ctx, top = u.bbox.top, height = u.bbox.height;
      c.save();
      c.beginPath();
      c.rect(u.bbox.left, 0, u.bbox.width, top + height);
      c.clip();
      var free = [-1e9, -1e9];
      data.bands.forEach(function (b) {
        var caught = u.valToPos(b.caught, "x", true), from = u.valToPos(b.from, "x", true);
        var tail = u.valToPos(b.tail, "x", true), to = u.valToPos(b.to, "x", true);
        c.fillStyle = tailFill;
        c.fillRect(caught, top, to - caught, height);
        c.fillStyle = bandFill;
        c.fillRect(from, top, tail - from, height);
        c.fillStyle = bandInk;
        c.fillRect(from, top - 2 * ratio, to - from, 2 * ratio);
        // a label goes to the first lane it fits in, and is left to the table where none is free
        c.font = scaled(bold);
        var width = c.measureText(b.label).width;
        var at = Math.max(from, u.bbox.left) + 3 * ratio;
        at = Math.max(u.bbox.left, Math.min(at, u.bbox.left + u.bbox.width - width));
        var lane = at > free[0] ? 0 : at > free[1] ? 1 : -1;
        if (lane < 0 || to < u.bbox.left || from > u.bbox.left + u.bbox.width) return;
        free[lane] = at + width + 8 * ratio;
        c.textAlign = "left";
        c.textBaseline = "bottom";
        c.fillText(b.label, at, top - (5 + 15 * lane) * ratio);
      });
      c.restore();
    }
    function scaled(text) { return text.replace(/([\d.]+)px/, function (_, n) { return n * ratio + "px"; }); }

    function over(u) {
      var c = u.ctx, box = u.bbox;
      c.save();
      c.beginPath();
      c.rect(box.left, box.top, box.width, box.height);
      c.clip();
      c.fillStyle = bad;
      data.failed.forEach(function (lost, i) {
        if (!lost) return;
        var from = u.valToPos(data.x[i], "x", true), to = u.valToPos(data.x[i + 1], "x", true);
        c.fillRect(from, box.top + box.height - 4 * ratio, to - from, 4 * ratio);
      });
      if (data.gateway) {
        var y = u.valToPos(data.gateway, "y", true);
        c.strokeStyle = bad;
        c.lineWidth = 1.5 * ratio;
        c.setLineDash([6 * ratio, 4 * ratio]);
        c.beginPath();
        c.moveTo(box.left, y);
        c.lineTo(box.left + box.width, y);
        c.stroke();
        c.fillStyle = bad;
        c.font = scaled(bold);
        c.textAlign = "right";
        c.textBaseline = "bottom";
        c.fillText(data.gatewayText, box.left + box.width - 5 * ratio, y - 4 * ratio);
      }
      c.restore();
    }

    var stepped = uPlot.paths.stepped({ align: 1 });
    var series = [{}].concat(data.lines.map(function (line) {
      return {
        label: line.name,
        stroke: colour(line.colour),
        width: line.kind === "end" ? 2.5 : line.kind === "faulted" ? 1.75 : 1,
        paths: stepped,
        points: { show: false }
      };
    }));
    var values = $("keys").querySelectorAll(".at");
    function legend(u) {
      var i = u.cursor.idx;
      data.lines.forEach(function (line, n) { values[n].textContent = i == null ? "" : spell(line.y[i]); });
      $("moment").textContent = i == null ? "" : moment(i);
    }
    function moment(i) {
      var end = data.x[Math.min(i + 1, data.x.length - 1)];
      return data.x[i].toFixed(1) + " to " + end.toFixed(1) + " s" + (data.failed[i] ? " · the p99 request failed" : "");
    }

    chart = new uPlot({
      width: box.clientWidth,
      height: HEIGHT,
      padding: [data.lanes > 1 ? 38 : 24, 18, 0, 0],
      legend: { show: false },
      cursor: { drag: { x: true, y: false }, points: { size: 6 } },
      scales: { x: { time: false }, y: { distr: 3, range: function () { return data.range; } } },
      axes: [
        { stroke: muted, font: font, size: 32, grid: { stroke: gridline, width: 1 }, ticks: { stroke: gridline, size: 4 },
          values: function (u, at) { return at.map(function (v) { return +v.toFixed(3) + " s"; }); } },
        { stroke: muted, font: font, size: 62, grid: { stroke: gridline, width: 1, filter: every }, ticks: { show: false },
          splits: function (u, i, low, high) { return logSplits(low, high); },
          filter: function (u, at) { return at.map(function (v) { return isDecade(v) ? v : null; }); },
          values: function (u, at) { return at.map(function (v) { return v == null ? "" : decade(v); }); } }
      ],
      series: series,
      hooks: { drawClear: [bands], draw: [over], setCursor: [legend] }
    }, [data.x].concat(data.lines.map(function (line) { return line.y; })), box);
    function every(u, at) { return at; }
    data.lines.forEach(function (line, n) {
      var key = $("keys").querySelectorAll("button")[n];
      chart.setSeries(n + 1, { show: key.getAttribute("aria-pressed") === "true" });
    });
  }

  function keys() {
    $("keys").addEventListener("click", function (event) {
      var key = event.target.closest("button");
      if (!key) return;
      var on = key.getAttribute("aria-pressed") !== "true";
      key.setAttribute("aria-pressed", String(on));
      chart.setSeries(Number(key.dataset.line) + 1, { show: on });
    });
    $("timeline").addEventListener("keydown", function (event) {
      var last = chart.data[0].length - 1, i = chart.cursor.idx == null ? -1 : chart.cursor.idx;
      var to = { ArrowLeft: i - 1, ArrowRight: i + 1, Home: 0, End: last }[event.key];
      if (to == null) return;
      event.preventDefault();
      to = Math.max(0, Math.min(last, to));
      chart.setCursor({ left: chart.valToPos(chart.data[0][to], "x") + 0.5, top: chart.over.clientHeight / 2 });
    });
  }

  draw();
  keys();
  document.addEventListener("theme", draw);
  new ResizeObserver(function () {
    var box = $("timeline");
    if (Math.abs(chart.width - box.clientWidth) > 1) chart.setSize({ width: box.clientWidth, height: HEIGHT });
  }).observe($("timeline"));
})();
