// The live part of the inspector: asks for the figures every two seconds and draws them.
"use strict";

(() => {
  const live = document.getElementById("live");
  if (!live) return;

  const EVERY = 2000; // milliseconds
  const SHOWN = 20 * 60; // seconds
  const SHORTEST = 0.5; // seconds between two samples
  const GAP = 20; // seconds between two samples that are not joined
  const RECENT = 10; // seconds that the current figures are of
  const SVG = "http://www.w3.org/2000/svg";
  const MARGIN = {left: 58, right: 8, top: 10, bottom: 22};

  const byId = id => document.getElementById(id);
  const whole = new Intl.NumberFormat("en", {maximumFractionDigits: 0});
  const fine = new Intl.NumberFormat("en", {maximumFractionDigits: 1});
  const number = value => (Math.abs(value) < 10 ? fine : whole).format(value);
  const percent = value => `${(100 * value).toFixed(1)} %`;
  const micros = value => (value < 1000 ? `${number(value)} µs` : `${number(value / 1000)} ms`);
  const clock = at => new Date(at * 1000).toLocaleTimeString([], {hour: "2-digit", minute: "2-digit", second: "2-digit"});

  function bytes(value) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let power = 0;
    while (value >= 1024 && power < units.length - 1) {
      value /= 1024;
      power++;
    }
    return `${power && value < 100 ? value.toFixed(1) : whole.format(value)} ${units[power]}`;
  }

  // -- what is between two samples -----------------------------------------------------------------------

  // Null where the counts have begun anew, or nobody looked for too long.
  function between(before, after) {
    const seconds = after.at - before.at;
    // The page's own reads are taken off. The records that sum them up may be evicted like any others: then what they
    // had taken off so far is to be taken off once more.
    const isEvicted = after.own_hits < before.own_hits;
    const hits = after.hits - before.hits - (isEvicted ? before.own_hits : 0);
    const misses = after.misses - before.misses - (isEvicted ? before.own_misses : 0);
    return seconds > 0 && seconds <= GAP && hits >= 0 && misses >= 0 ? {seconds, hits, reads: hits + misses} : null;
  }

  function rateOf(name) {
    return (before, after, {seconds}) =>
      before[name] === null || after[name] === null || after[name] < before[name]
        ? null
        : (after[name] - before[name]) / seconds;
  }

  const now = name => (before, after) => after[name];

  const CHARTS = {
    reads: {unit: value => `${number(value)} /s`, lines: [["", (before, after, {reads, seconds}) => reads / seconds]]},
    ratio: {
      unit: percent,
      axis: value => `${whole.format(100 * value)} %`,
      top: 1,
      lines: [["", (before, after, {reads, hits}) => (reads ? hits / reads : null)]],
      empty: "Nothing was read in this time.",
    },
    latency: {unit: micros, lines: [["median", now("median")], ["95 %", now("slow")]]},
    size: {unit: bytes, step: 1024, lines: [["", now("size")]]},
    entries: {unit: value => whole.format(value), least: 4, lines: [["", now("entries")]]},
    removals: {
      unit: value => `${number(value)} /s`,
      lines: [["evicted", rateOf("evictions")], ["expired", rateOf("expirations")]],
      empty: "Not known by this store.",
    },
  };
  const CLASSES = ["first", "second"];

  // -- charts --------------------------------------------------------------------------------------------

  function draw(parent, name, attributes, text) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  }

  // The smallest round number that is not below; in powers of 1024 where bytes are counted.
  function roundUp(value, step) {
    let unit = 1;
    if (step) while (unit * step <= value) unit *= step;
    const scaled = value / unit;
    const power = 10 ** Math.floor(Math.log10(scaled || 1));
    return unit * power * [1, 2, 3, 4, 5, 6, 8, 10].find(factor => factor * power >= scaled);
  }

  class Chart {
    constructor(figure) {
      this.spec = CHARTS[figure.dataset.chart];
      this.title = figure.querySelector("b").textContent;
      this.reading = figure.querySelector(".reading");
      this.plot = figure.querySelector(".plot");
      this.empty = this.plot.querySelector("p");
      this.svg = draw(this.plot, "svg", {tabindex: "0", role: "img"});
      this.points = [];
      this.at = null; // which point is pointed at
      this.svg.addEventListener("pointermove", event => this.point(event));
      this.svg.addEventListener("pointerleave", () => this.choose(null));
      this.svg.addEventListener("blur", () => this.choose(null));
      this.svg.addEventListener("keydown", event => this.key(event));
      new ResizeObserver(() => this.redraw()).observe(this.plot);
    }

    show(samples) {
      const chosen = this.at === null ? null : this.points[this.at]?.at;
      this.points = [];
      for (let index = 1; index < samples.length; index++) {
        const before = samples[index - 1], after = samples[index], step = between(before, after);
        const values = this.spec.lines.map(([, value]) => (step ? value(before, after, step) : null));
        this.points.push({at: after.at, joined: step !== null, values});
      }
      this.at = chosen === null ? null : this.points.findIndex(point => point.at === chosen);
      if (this.at === -1) this.at = null;
      this.redraw();
    }

    redraw() {
      const {width, height} = this.plot.getBoundingClientRect();
      const values = this.points.flatMap(point => point.values).filter(value => value !== null);
      this.empty.hidden = values.length > 0;
      this.svg.replaceChildren();
      if (!values.length) {
        this.svg.setAttribute("aria-label", this.title);
        if (this.points.some(point => point.joined)) this.empty.textContent = this.spec.empty ?? "No figures yet.";
        this.reading.replaceChildren();
        return;
      }
      if (width < 100) return;
      const last = this.points[this.points.length - 1].at;
      const first = Math.min(this.points[0].at, last - 60);
      const top = this.spec.top ?? roundUp(Math.max(...values, this.spec.least ?? 1), this.spec.step);
      this.x = at => MARGIN.left + ((at - first) / (last - first)) * (width - MARGIN.left - MARGIN.right);
      this.y = value => height - MARGIN.bottom - (value / top) * (height - MARGIN.top - MARGIN.bottom);
      this.axes(width, height, first, last, top);
      this.spec.lines.forEach((_, index) => this.line(index));
      this.cursor = draw(this.svg, "g", {});
      const shown = this.spec.lines.map(([name], index) => `${name} ${this.text(this.latest(index))}`).join(", ");
      this.svg.setAttribute("aria-label", `${this.title}: ${shown}. The arrow keys read earlier ones.`);
      this.mark();
    }

    axes(width, height, first, last, top) {
      for (const share of [0, 0.5, 1]) {
        const y = Math.round(this.y(top * share));
        draw(this.svg, "line", {class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y});
        draw(this.svg, "text", {x: MARGIN.left - 8, y: y + 4, "text-anchor": "end"}, (this.spec.axis ?? this.spec.unit)(top * share));
      }
      const y = height - 5;
      const span = last - first;
      const ago = span >= 120 ? `${Math.round(span / 60)} min ago` : `${Math.round(span)} s ago`;
      draw(this.svg, "text", {x: MARGIN.left, y}, ago);
      draw(this.svg, "text", {x: width - MARGIN.right, y, "text-anchor": "end"}, "now");
    }

    line(index) {
      let path = "", area = "", start = null, end = null;
      const close = () => {
        if (start !== null && index === 0) area += `L${end},${this.y(0)}L${start},${this.y(0)}Z`;
        start = null;
      };
      for (const {at, values} of this.points) {
        const value = values[index];
        if (value === null) {
          close();
          continue;
        }
        const x = this.x(at).toFixed(1), y = this.y(value).toFixed(1);
        const step = `${start === null ? "M" : "L"}${x},${y}`;
        path += step;
        area += index === 0 ? step : "";
        start ??= x;
        end = x;
      }
      close();
      if (area) draw(this.svg, "path", {class: "area", d: area});
      draw(this.svg, "path", {class: `line ${CLASSES[index]}`, d: path});
    }

    latest(index) {
      for (let at = this.points.length - 1; at >= 0; at--) {
        if (this.points[at].values[index] !== null) return this.points[at].values[index];
      }
      return null;
    }

    text(value) {
      return value === null ? "–" : this.spec.unit(value);
    }

    // -- pointing at a moment

    point(event) {
      if (!this.points.length || !this.x) return;
      const x = event.clientX - this.svg.getBoundingClientRect().left;
      let nearest = 0;
      this.points.forEach((point, index) => {
        if (Math.abs(this.x(point.at) - x) < Math.abs(this.x(this.points[nearest].at) - x)) nearest = index;
      });
      this.choose(nearest);
    }

    key(event) {
      const steps = {ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity};
      if (!(event.key in steps) || !this.points.length) return;
      event.preventDefault();
      const from = this.at ?? this.points.length;
      this.choose(Math.min(Math.max(from + steps[event.key], 0), this.points.length - 1));
      byId("reading").textContent = this.reading.textContent; // told only to whoever asks with the keys
    }

    choose(at) {
      this.at = at;
      this.mark();
    }

    mark() {
      if (!this.cursor) return;
      this.cursor.replaceChildren();
      const point = this.at === null ? null : this.points[this.at];
      const values = point ? point.values : this.spec.lines.map((_, index) => this.latest(index));
      this.reading.replaceChildren(point ? `${clock(point.at)} ` : "");
      this.spec.lines.forEach(([name], index) => {
        const shown = document.createElement("span");
        if (name) shown.className = `key ${CLASSES[index]}`;
        shown.textContent = `${name} ${this.text(values[index])}`;
        this.reading.append(shown, " ");
      });
      if (!point) return;
      const x = this.x(point.at);
      draw(this.cursor, "line", {class: "cursor", x1: x, x2: x, y1: this.y(0), y2: MARGIN.top});
      values.forEach((value, index) => {
        if (value !== null) draw(this.cursor, "circle", {class: CLASSES[index], cx: x, cy: this.y(value), r: 4});
      });
    }
  }

  // -- figures -------------------------------------------------------------------------------------------

  function set(name, value, note) {
    const place = byId(`${name}-value`);
    place.textContent = value;
    place.className = value.length < 14 ? "value" : "value long";
    if (note !== undefined) byId(`${name}-note`).textContent = note;
  }

  function showTiles(stats, latency, samples) {
    const last = samples[samples.length - 1];
    let hits = 0, reads = 0, seconds = 0;
    for (let index = samples.length - 1; index > 0 && seconds < RECENT; index--) {
      const step = between(samples[index - 1], samples[index]);
      if (!step) break;
      hits += step.hits;
      reads += step.reads;
      seconds += step.seconds;
    }
    const all = last.hits + last.misses;
    set("reads", seconds ? number(reads / seconds) : "–", `${whole.format(all)} in all`);
    const overall = all ? `${percent(last.hits / all)} since the beginning` : "nothing was read yet";
    set("ratio", reads ? percent(hits / reads) : "–", overall);
    set("latency", micros(latency.median), `95 %: ${micros(latency.slow)}, slowest: ${micros(latency.slowest)}`);
    set("size", bytes(stats.size), stats.max_size ? `${percent(stats.size / stats.max_size)} of ${bytes(stats.max_size)}` : "no bound");
    set("entries", whole.format(stats.entries));
    for (const name of ["evictions", "expirations"]) {
      set(name, stats[name] === null ? "not known by this store" : whole.format(stats[name]));
    }
    set("processes", whole.format(stats.processes));
  }

  // -- asking --------------------------------------------------------------------------------------------

  const state = byId("state"), pause = byId("pause");
  const charts = [...document.querySelectorAll("[data-chart]")].map(figure => new Chart(figure));
  let samples = [], paused = false, timer = 0, asking = false;

  // A live region: written only when it says something else.
  function say(text, bad = false) {
    if (state.textContent !== text) state.textContent = text;
    state.className = bad ? "bad" : "";
  }

  // A rate over a shorter time would be mostly noise.
  function add(sample) {
    if (!samples.length || sample.at - samples[samples.length - 1].at >= SHORTEST) samples.push(sample);
  }

  async function ask() {
    if (asking) return;
    asking = true;
    try {
      const answer = await fetch(`figures.json${samples.length ? "" : "?history=1"}`, {headers: {Accept: "application/json"}});
      if (!answer.ok) throw new Error(answer.status === 403 ? "you may not look at it any more" : `answer ${answer.status}`);
      const data = await answer.json();
      document.querySelector("main > .problem")?.remove(); // the state tells it from now on
      if (data.problem) {
        say(data.problem, true);
      } else {
        data.samples.forEach(add);
        const last = samples[samples.length - 1].at;
        samples = samples.filter(sample => last - sample.at <= SHOWN);
        showTiles(data.stats, data.latency, samples);
        charts.forEach(chart => chart.show(samples));
        say("Live: refreshed every 2 seconds.");
      }
    } catch (error) {
      say(`The site does not answer: ${error.message}.`, true);
    } finally {
      asking = false;
    }
  }

  async function goOn() {
    clearTimeout(timer);
    if (paused || document.hidden) return;
    await ask();
    clearTimeout(timer);
    if (!paused && !document.hidden) timer = setTimeout(goOn, EVERY);
  }

  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    if (paused) say("Paused.");
    goOn();
  });
  document.addEventListener("visibilitychange", goOn);
  goOn();
})();
