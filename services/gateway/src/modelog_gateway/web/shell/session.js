// Who looks: the token that every question carries. It comes with the address or from the form, and stays in this tab.
const fromAddress = new URLSearchParams(location.hash.slice(1)).get("token");
if (fromAddress) history.replaceState(null, "", location.pathname + location.search);

export const session = { token: fromAddress ?? sessionStorage.getItem("token"), permissions: [] };

export const may = (permission) => session.permissions.includes(permission);

export function remember(token) {
  session.token = token;
  sessionStorage.setItem("token", token);
}
