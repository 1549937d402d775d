// What a gate's page does where script runs: ticks without a reload, the viewer's own clock in the form, and forgetting
// what was typed as a secret as soon as the page is left. Without it, every form is sent as it is.
(() => {
  "use strict";

  // --- ticks

  async function tick(form) {
    const button = form.querySelector("button"), wanted = form.elements.done.value === "yes";
    button.disabled = true;
    try {
      const answer = await fetch(form.action, {
        method: "POST", body: new URLSearchParams(new FormData(form)), credentials: "same-origin", redirect: "manual",
        keepalive: true, // a page that is loaded again at once must not take the tick away
      });
      if (answer.type !== "opaqueredirect") throw new Error(answer.status); // taken is answered by a way on
      show(form, wanted);
    } catch {
      form.submit(); // whatever it is, the page that comes then says it
    } finally {
      button.disabled = false;
      button.focus({ preventScroll: true });
    }
  }

  function show(form, done) {
    const button = form.querySelector("button");
    form.elements.done.value = done ? "no" : "yes";
    button.setAttribute("aria-pressed", String(done));
    form.closest(".step").classList.toggle("done", done);
    const count = document.querySelectorAll('.tick [aria-pressed="true"]').length;
    const bar = document.querySelector(".progress progress"), number = document.querySelector("[data-ticked]");
    if (bar) bar.value = count;
    if (number) number.textContent = String(count);
  }

  document.addEventListener("submit", (event) => {
    if (!event.target.matches(".tick")) return;
    event.preventDefault();
    tick(event.target);
  });

  // --- the form for a secret

  const form = document.querySelector("[data-intake]");
  const secrets = () => document.querySelectorAll('[data-intake] input[type="password"]');

  // Minutes east of UTC at the moment that was given: summer and winter differ.
  function offsetOf(moment) {
    return -(Number.isNaN(moment.getTime()) ? new Date() : moment).getTimezoneOffset();
  }

  function wallClock(moment) {
    const local = new Date(moment.getTime() + offsetOf(moment) * 60000);
    return local.toISOString().slice(0, 16);
  }

  if (form?.elements.clicked_at) {
    const clicked = form.elements.clicked_at, now = form.querySelector("[data-now]");
    const note = () => { form.elements.utc_offset.value = clicked.value ? offsetOf(new Date(clicked.value)) : ""; };
    form.querySelector("[data-zone]").textContent = `(${Intl.DateTimeFormat().resolvedOptions().timeZone})`;
    now.hidden = false;
    now.addEventListener("click", () => { clicked.value = wallClock(new Date()); note(); });
    clicked.addEventListener("input", note);
    note();
  }

  const hand = form?.querySelector("button.primary"), label = hand?.textContent;
  function busy(isBusy) {
    hand.disabled = isBusy;
    hand.textContent = isBusy ? hand.dataset.busy : label;
  }

  form?.addEventListener("submit", () => setTimeout(busy, 0, true)); // after it is on its way

  // A page that the browser keeps for its back button holds no secret, and nothing that was shown once.
  addEventListener("pagehide", () => {
    for (const field of secrets()) field.value = "";
    for (const part of document.querySelectorAll("[data-once]")) part.remove();
  });
  addEventListener("pageshow", () => { if (hand) busy(false); });
})();
