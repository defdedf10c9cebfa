// Keeps an open page up to date. Everything else works without it.
//
// The server says by an event that there is something new; then the page asks for its main part
// again and takes over what differs, element by element, so that focus, selection, scrolling and
// what was typed stay as they are.
"use strict";

(function () {
  const source = document.body.dataset.events;
  const light = document.getElementById("live");
  let events = null;
  let asking = false;
  let again = false;
  let retry = 0;

  // -- Taking over what differs --------------------------------------------------------------

  function sameKind(a, b) {
    return a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");
  }

  function takeAttributes(old, fresh) {
    for (const each of Array.from(old.attributes)) {
      // What a reader has opened stays open.
      if (!fresh.hasAttribute(each.name) && each.name !== "open") old.removeAttribute(each.name);
    }
    for (const each of Array.from(fresh.attributes)) {
      if (old.getAttribute(each.name) !== each.value) old.setAttribute(each.name, each.value);
    }
  }

  function takeOver(old, fresh) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    takeAttributes(old, fresh);
    if (old.matches("input, select, textarea")) return;
    const known = new Map();
    for (const child of old.children) if (child.id) known.set(child.id, child);
    let place = old.firstChild;
    for (const child of Array.from(fresh.childNodes)) {
      let match = child.id ? known.get(child.id) : null;
      if (!match && place && sameKind(place, child)) match = place;
      if (match && sameKind(match, child)) {
        if (match === place) place = place.nextSibling;
        else old.insertBefore(match, place);
        takeOver(match, child);
      } else {
        old.insertBefore(document.importNode(child, true), place);
      }
    }
    while (place) {
      const next = place.nextSibling;
      old.removeChild(place);
      place = next;
    }
  }

  async function renew() {
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    try {
      const answer = await fetch(location.href, {
        headers: { "X-Nsqadmin-Part": "main" },
        credentials: "same-origin",
      });
      const text = await answer.text();
      const fresh = new DOMParser().parseFromString(text, "text/html").getElementById("main");
      if (answer.redirected || !fresh) throw new Error("not the page");
      takeOver(document.getElementById("main"), fresh);
      document.title = fresh.dataset.title + " · nsqadmin";
      startCounting();
      show("on", "Live");
    } catch (error) {
      show("off", "Not live");
    } finally {
      asking = false;
      if (again) {
        again = false;
        renew();
      }
    }
  }

  // -- Events, while somebody looks ------------------------------------------------------------

  function show(state, text) {
    if (light.textContent === text) return;
    light.hidden = false;
    light.className = "live " + state;
    light.textContent = text;
  }

  function connect() {
    clearTimeout(retry);
    if (events || document.hidden) return;
    events = new EventSource(source);
    let first = true;
    events.addEventListener("news", function () {
      // The first one is what the page shows already, unless it was left open.
      if (!first || light.textContent !== "") renew();
      else show("on", "Live");
      first = false;
    });
    events.onerror = function () {
      show("off", "Not live");
      if (events && events.readyState === EventSource.CLOSED) {
        // Refused: there are too many, or the session is over.
        events = null;
        retry = setTimeout(connect, 30000);
      }
    };
  }

  function disconnect() {
    clearTimeout(retry);
    if (events) events.close();
    events = null;
  }

  // -- The counter counts on between two answers -------------------------------------------------

  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let counting = 0;

  function startCounting() {
    const element = document.querySelector("[data-count]");
    cancelAnimationFrame(counting);
    if (!element || calm.matches) return;
    const rate = Number(element.dataset.rate);
    const from = Number(element.dataset.count);
    const began = performance.now();
    function step(now) {
      const count = Math.floor(from + (rate * (now - began)) / 1000);
      element.textContent = count.toLocaleString("en-US");
      // Without an answer for long it would be guessing.
      if (now - began < 15000) counting = requestAnimationFrame(step);
    }
    if (rate > 0) counting = requestAnimationFrame(step);
  }

  // -- Comforts --------------------------------------------------------------------------------

  document.addEventListener("keydown", function (event) {
    const typing = event.target.matches("input, select, textarea, button");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const field = document.querySelector("[data-shortcut='/']");
      if (field) {
        event.preventDefault();
        field.focus();
      }
    }
  });

  if (source) {
    document.addEventListener("visibilitychange", function () {
      if (document.hidden) disconnect();
      else connect();
    });
    addEventListener("pagehide", disconnect);
    addEventListener("pageshow", connect);
    connect();
  }
  startCounting();
})();
