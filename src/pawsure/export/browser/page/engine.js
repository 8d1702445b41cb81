// Says how far the model is: on its way, ready, or why not.

const byId = (id) => document.getElementById(id);
const megabytes = (bytes) => Math.round(bytes / 1e6);

/** Takes word of {loading: {here, total}}, {ready} or {failed}. */
export function onEngine({ loading, ready, failed }) {
  const box = byId("engine");
  box.dataset.state = failed ? "failed" : ready ? "ready" : "loading";
  if (loading) {
    box.style.setProperty("--done", loading.here / loading.total);
    byId("engine-words").textContent = `Getting the model: ${megabytes(loading.here)} of ${megabytes(loading.total)} MB. Add pictures already, if you like.`;
  }
  if (ready) byId("engine-words").textContent = "Ready, from now on without a network too.";
  if (failed) byId("engine-words").textContent = `The model can't be started: ${failed}`;
}
