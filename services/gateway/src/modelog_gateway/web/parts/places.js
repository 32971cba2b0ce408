// Where what a list shows is: the workspace and project of the address, and the way to all of it.
import { h, link, said } from "./dom.js";
import { asked } from "../shell/address.js";

export function within(everywhere) {
  const [workspace, project] = ["workspace", "project"].map((name) => asked().get(name) ?? "");
  return workspace && h("p", {}, "In ", said(project ? `${workspace}/${project}` : workspace), " only. ", link(everywhere(), "Look everywhere"));
}
