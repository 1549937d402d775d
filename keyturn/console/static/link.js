// The code of a one-time link stands behind its #, which browsers send to nobody. It goes into the form, and out of the address.
"use strict";

const form = document.querySelector("[data-one-time]");
const code = location.hash.slice(1);
if (form && code) {
  history.replaceState(null, "", location.pathname);
  form.elements.code.value = code;
  form.requestSubmit();
}
