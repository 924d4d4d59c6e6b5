"use strict";

// Everything is put in as text nodes: a description is never markup.
function element(name, attributes, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  for (const child of children) if (child !== null && child !== undefined) e.append(child);
  return e;
}

function anchor(name) { return "schema-" + name; }

function typeText(s) {
  if (!s) return "";
  if (s.$ref) {
    const name = s.$ref.split("/").pop();
    return element("a", { href: "#" + anchor(name) }, name);
  }
  if (s.oneOf) return joined(s.oneOf.map(typeText), " or ");
  const type = [].concat(s.type || "any").join(" or ");
  if (s.items) return joined(["list of ", typeText(s.items)], "");
  if (s.enum) return s.enum.join(" | ");
  if (s.format) return type + " (" + s.format + ")";
  return type;
}

function joined(parts, separator) {
  const span = element("span", {});
  parts.forEach((part, i) => {
    if (i > 0) span.append(separator);
    span.append(part);
  });
  return span;
}

function row(...cells) { return element("tr", {}, ...cells.map((c) => element("td", {}, c))); }

function fields(schema) {
  const required = schema.required || [];
  const table = element("table", {});
  for (const [name, s] of Object.entries(schema.properties || {})) {
    table.append(row(element("code", {}, name + (required.includes(name) ? "" : "?")), typeText(s), s.description || ""));
  }
  return table;
}

function parameters(op) {
  const table = element("table", {});
  for (const p of op.parameters || []) {
    table.append(row(element("code", {}, p.name + (p.required ? "" : "?")), "in " + p.in, typeText(p.schema), p.description || (p.schema || {}).description || ""));
  }
  const content = (op.requestBody || {}).content || {};
  for (const [kind, media] of Object.entries(content)) table.append(row(element("code", {}, "body"), kind, typeText(media.schema), ""));
  return table;
}

function responses(op) {
  const table = element("table", {});
  for (const [status, r] of Object.entries(op.responses || {})) {
    const media = Object.entries(r.content || {});
    table.append(row(element("code", {}, status), r.description || "", joined(media.map(([, m]) => typeText(m.schema)), ", ")));
  }
  return table;
}

function operation(method, path, op) {
  const kind = method === "get" ? "method" : "method change";
  return element("details", { id: op.operationId },
    element("summary", {}, element("span", { class: kind }, method.toUpperCase()), " ", element("span", { class: "path" }, path), " ",
      element("span", { class: "quiet" }, op.summary || "")),
    element("p", {}, op.description || ""), parameters(op), responses(op));
}

function show(spec) {
  document.getElementById("about").textContent = spec.info.description;
  const byTag = new Map((spec.tags || []).map((t) => [t.name, []]));
  for (const [path, item] of Object.entries(spec.paths)) {
    for (const method of ["get", "post", "put"]) {
      const op = item[method];
      if (!op) continue;
      const tag = (op.tags || ["other"])[0];
      if (!byTag.has(tag)) byTag.set(tag, []);
      byTag.get(tag).push(operation(method, path, op));
    }
  }
  const titles = new Map((spec.tags || []).map((t) => [t.name, t.description]));
  const target = document.getElementById("operations");
  for (const [tag, all] of byTag) target.append(element("h2", {}, titles.get(tag) || tag), ...all);
  const schemas = document.getElementById("schemas");
  for (const [name, s] of Object.entries(spec.components.schemas)) {
    schemas.append(element("details", { id: anchor(name) }, element("summary", {}, element("code", {}, name)), fields(s)));
  }
  open();
}

function open() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target) target.open = true;
}

addEventListener("hashchange", open);
fetch("/openapi.json")
  .then((r) => r.json())
  .then(show)
  .catch((e) => { document.getElementById("about").textContent = "The description could not be loaded: " + e.message; });
