// Says how far the model is: on its way, ready, or why not.

const byId = (id) => document.getElementById(id);
const megabytes = (bytes) => Math.round(bytes / 1e6);

/** Takes word of {loading: {here, total}}, {ready} or {failed}. */
export function onEngine({ loading, ready, failed }) {
  byId("engine").dataset.state = failed ? "failed" : ready ? "ready" : "loading";
  byId("engine-bar").hidden = byId("engine-loading").hidden = !loading;
  if (loading) {
    const part = loading.here / loading.total;
    byId("engine-bar").style.setProperty("--done", part);
    byId("engine-bar").setAttribute("aria-valuenow", Math.round(100 * part));
    byId("engine-loading").textContent =
      part < 1
        ? `Getting the model: ${megabytes(loading.here)} of ${megabytes(loading.total)} MB. Add pictures already, if you like.`
        : "Starting the model…";
  }
  // Read aloud, which the megabytes are not.
  if (ready) byId("engine-words").textContent = "Ready, from now on without a network too.";
  if (failed) byId("engine-words").textContent = `The model can't be started: ${failed}`;
}
