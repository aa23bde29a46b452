// Making and changing elements. Text is only ever set as text, so that nothing an upstream says can become markup.

const SVG = "http://www.w3.org/2000/svg";

export const byId = id => document.getElementById(id);

/** An element with attributes and children; strings become text. */
export const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false));
  return element;
};

/** One of the signs in the page's sprite; says nothing to who cannot see it, the word beside it does. */
export const icon = name => {
  const svg = document.createElementNS(SVG, "svg"), use = document.createElementNS(SVG, "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
};

export const setIcon = (svg, name) => {
  const use = svg.tagName === "use" ? svg : svg.querySelector("use");
  if (use.getAttribute("href") !== `#icon-${name}`) use.setAttribute("href", `#icon-${name}`);
};

/** Changes nothing if nothing changed: no flicker, and nothing is read out twice. */
export const setText = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

export const setAttribute = (element, name, value) => {
  if (value === null || value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
};

/**
 * Makes the children of `parent` those of `items`, in order. An item's element is made once and changed afterwards, so
 * that what a person has opened or focused stays so.
 */
export const keyed = (parent, items, key, create, update) => {
  const known = new Map([...parent.children].map(child => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let element = known.get(name);
    if (!element) {
      element = create(item);
      element.dataset.key = name;
    }
    known.delete(name);
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
    update?.(element, item);
  }
  for (const element of known.values()) element.remove();
};

/** What is longer than its box can be scrolled by keyboard, and only then is a stop on the way through the page. */
export const letScroll = () => {
  for (const element of document.querySelectorAll("[data-scrolls]")) {
    setAttribute(element, "tabindex", element.clientHeight + 1 < element.scrollHeight ? 0 : null);
  }
};
