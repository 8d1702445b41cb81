// Shows openapi.json.

// A proxy may serve the page under a prefix.
const root = new URL(".", location.href).href;
document.getElementById("example").textContent = [
  `curl -F pictures=@rex.jpg -F pictures=@tom.jpg ${root}v1/predict`,
  `curl -H 'Content-Type: image/jpeg' --data-binary @rex.jpg '${root}v1/predict?evidence=true'`,
].join("\n");

const element = (name, text = "", className = "") =>
  Object.assign(document.createElement(name), { textContent: text, className });

function operation(path, method, { summary, description, parameters = [], requestBody, responses }) {
  const box = element("details", "", "operation");
  const head = element("summary");
  head.append(element("b", method.toUpperCase(), "method"), element("code", path), element("span", summary));
  const body = element("div");
  if (description) body.append(element("p", description.replaceAll("`", "")));
  const table = element("table");
  for (const parameter of parameters) {
    row(table, `${parameter.name} (${parameter.in})`, parameter.description ?? parameter.schema?.type ?? "");
  }
  if (requestBody) row(table, "body", Object.keys(requestBody.content).join(", "));
  for (const [status, response] of Object.entries(responses)) row(table, status, response.description);
  body.append(table);
  box.append(head, body);
  return box;
}

function row(table, name, text) {
  const cells = table.insertRow();
  cells.insertCell().append(element("code", name));
  cells.insertCell().textContent = text;
}

const document_ = await (await fetch("openapi.json")).json();
for (const [path, methods] of Object.entries(document_.paths)) {
  for (const [method, details] of Object.entries(methods)) {
    document.getElementById("operations").append(operation(path, method, details));
  }
}
