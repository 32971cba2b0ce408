// How the first run comes here.
import { h } from "../../parts/dom.js";

export const started = () => h("div", { class: "empty" },
  h("p", {}, "Nothing was logged yet. Any MLflow client logs here when it is told where:"),
  h("pre", { tabIndex: 0, "aria-label": "Commands" }, `export MLFLOW_TRACKING_URI=${location.origin}\nexport MLFLOW_TRACKING_TOKEN=$(modelog token)`),
  h("p", {}, "So does the Python client: ", h("code", {}, "client.runs.experiment(\"flight-delay\")"), ", then ", h("code", {}, "client.runs.start(\"flight-delay\")"), "."));
