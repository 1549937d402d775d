// What the pages do by themselves where script runs: times in the viewer's zone, copying, and following changes.
// Everything is readable and decidable without it. It keeps nothing, and sets nothing global.
(() => {
  "use strict";

  const MINUTE = 60, HOUR = 3600, DAY = 86400;
  const status = document.getElementById("status");

  // --- saying something at the lower edge

  let saying = 0;
  function say(text, forMs = 4000) {
    clearTimeout(saying);
    if (!status) return;
    status.textContent = text;
    if (forMs) saying = setTimeout(() => { status.textContent = ""; }, forMs);
  }

  // --- times

  const dated = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  const datedOfYear = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
  const day = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short" });
  const month = new Intl.DateTimeFormat("en-GB", { month: "short", year: "numeric" });
  const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
  const exact = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "long" });

  function span(seconds) {
    const s = Math.abs(seconds);
    if (s < MINUTE) return "less than a minute";
    if (s < HOUR) return `${Math.floor(s / MINUTE)} min`;
    if (s < 2 * DAY) return `${Math.floor(s / HOUR)} h`;
    return `${Math.floor(s / DAY)} days`;
  }

  function relative(seconds) {
    if (Math.abs(seconds) < MINUTE) return "just now";
    return seconds < 0 ? `${span(seconds)} ago` : `in ${span(seconds)}`;
  }

  function local(moment) {
    return (moment.getFullYear() === new Date().getFullYear() ? dated : datedOfYear).format(moment);
  }

  function left(seconds) {
    if (seconds <= 0) return `over since ${span(seconds)}`;
    const hours = Math.floor(seconds / HOUR), minutes = Math.floor((seconds % HOUR) / MINUTE);
    if (hours >= 48) return `${Math.floor(hours / 24)} d ${hours % 24} h left`;
    return hours ? `${hours} h ${minutes} min left` : `${Math.max(1, minutes)} min left`;
  }

  function tell(place) {
    for (const time of place.querySelectorAll("time[datetime]")) {
      const moment = new Date(time.dateTime), { when, countdown } = time.dataset;
      if (Number.isNaN(moment.getTime()) || (when === undefined && countdown === undefined)) continue;
      const seconds = (moment - Date.now()) / 1000;
      const shown = when === undefined ? left(seconds)
        : when === "age" ? relative(seconds)
        : when === "date" ? local(moment)
        : when === "day" ? (Math.abs(seconds) < 300 * DAY ? day : month).format(moment)
        : when === "clock" ? clock.format(moment)
        : `${local(moment)} (${relative(seconds)})`;
      if (time.textContent !== shown) time.textContent = shown;
      time.title = exact.format(moment);
    }
  }

  // --- copying

  async function copy(button) {
    const before = button.dataset.says ?? (button.dataset.says = button.textContent);
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
      button.classList.add("copied");
      say("Copied to the clipboard.");
    } catch {
      say("This browser does not let pages copy here: select the text and copy it yourself.", 8000);
    }
    setTimeout(() => { button.textContent = before; button.classList.remove("copied"); }, 1500);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (button) copy(button);
  });

  // --- following changes: what the server made of a part, to see later whether it made something else

  const made = new WeakMap();
  const parts = (place) => place.querySelectorAll("[data-live-part]");
  for (const part of parts(document)) made.set(part, part.innerHTML);

  function isTyped(control) {
    if (control.type === "hidden") return false;
    if (control === document.activeElement && control.value) return true;
    if (control.type === "checkbox" || control.type === "radio") return control.checked !== control.defaultChecked;
    if (control.options) return [...control.options].some((o) => o.selected !== o.defaultSelected) && control.selectedIndex > 0;
    return control.defaultValue !== undefined && control.value !== control.defaultValue;
  }

  const nameOf = (element) =>
    element.id || [element.localName, element.getAttribute("href") ?? element.getAttribute("name") ?? "", element.textContent.trim()].join("|");
  const alike = (part, element) => [...part.querySelectorAll(element.localName)].find((e) => nameOf(e) === nameOf(element));

  // Returns whether the part is up to date; one that somebody types in is left alone until later.
  function renew(part, fresh) {
    const html = fresh.innerHTML;
    if (made.get(part) === html) return true;
    if ([...part.querySelectorAll("input, select, textarea")].some(isTyped)) return false;
    tell(fresh);
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    const opened = [...part.querySelectorAll("details[open]")].map((d) => nameOf(d.querySelector("summary") ?? d));
    const scrolled = [...part.querySelectorAll(".scroll, pre")].map((e) => [e.scrollLeft, e.scrollTop]);
    const rows = new Map([...part.querySelectorAll("[data-live-row]")].map((r) => [r.dataset.liveRow, r.textContent]));
    part.replaceChildren(...fresh.childNodes);
    made.set(part, html);
    for (const details of part.querySelectorAll("details"))
      if (opened.includes(nameOf(details.querySelector("summary") ?? details))) details.open = true;
    part.querySelectorAll(".scroll, pre").forEach((e, n) => { if (scrolled[n]) [e.scrollLeft, e.scrollTop] = scrolled[n]; });
    for (const row of part.querySelectorAll("[data-live-row]"))
      if (rows.size && rows.get(row.dataset.liveRow) !== row.textContent) row.classList.add("changed");
    if (focused) alike(part, focused)?.focus({ preventScroll: true });
    return true;
  }

  const OLD = "Not connected at the moment: what you see may be old.";

  function follow(about) {
    let source = null, waits = 0, failures = 0, due = 0, last = 0, took = 0;
    let busy = false, again = false, lost = false, over = false;

    async function refresh() {
      due = 0;
      if (busy) { again = true; return; }
      busy = true;
      last = Date.now();
      try {
        const answer = await fetch(location.href, { credentials: "same-origin", cache: "no-store", redirect: "manual", headers: { "Keyturn-Follows": "1" } });
        if (answer.type === "opaqueredirect" || answer.status === 401) { stop(); return; }
        if (answer.ok) show(new DOMParser().parseFromString(await answer.text(), "text/html"));
      } catch { /* the stream breaks, too, and its return asks again */ }
      finally { busy = false; took = Date.now() - last; }
      if (again) { again = false; ask(); }
    }

    function show(page) {
      const fresh = new Map([...parts(page)].map((part) => [part.dataset.livePart, part]));
      let all = true;
      for (const part of parts(document)) {
        const other = fresh.get(part.dataset.livePart);
        if (part.isConnected && other) all = renew(part, other) && all;
      }
      document.title = page.title;
      if (!all) ask(5000);
    }

    // At most once a second however much happens, and less often where pages take long to make.
    function ask(afterMs = 0) {
      due ||= setTimeout(refresh, Math.max(afterMs, last + Math.max(1000, 5 * took) - Date.now(), 50));
    }

    function stop() {
      over = true;
      pause();
      say("You are signed out, so this page no longer follows changes. Load it again to sign in.", 0);
    }

    function pause() {
      hangUp();
      clearTimeout(due);
      due = 0;
    }

    function hangUp() {
      source?.close();
      source = null;
      clearTimeout(waits);
      waits = 0;
    }

    function connect() {
      if (source || over || document.hidden) return;
      const here = source = new EventSource("/live");
      here.addEventListener("hello", () => {
        if (failures > 2 || lost) say("");
        failures = 0;
        lost = false;
        ask(); // what happened between the making of this page and now
      });
      here.addEventListener("changed", (event) => {
        if (about.has("*") || JSON.parse(event.data).some((key) => key === "*" || about.has(key))) ask();
      });
      here.addEventListener("lost", () => {
        lost = true;
        say(OLD, 0);
      });
      here.addEventListener("error", () => { if (source === here) retry(); });
    }

    function retry() {
      hangUp();
      failures += 1;
      if (failures === 3) say(OLD, 0);
      ask(); // says whether it is the session that ended
      waits = setTimeout(connect, Math.min(60, 2 ** failures) * (500 + 500 * Math.random()));
    }

    // A hidden page holds no connection: browsers have few for one server.
    document.addEventListener("visibilitychange", () => { if (document.hidden) pause(); else connect(); });
    addEventListener("pagehide", pause);
    addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
    connect();
  }

  tell(document);
  setInterval(() => tell(document), 30000);
  const about = (document.body.dataset.live ?? "").split(/\s+/).filter(Boolean);
  if (about.length && window.EventSource) follow(new Set(about));
})();
