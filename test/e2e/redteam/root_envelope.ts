/** The envelope that attackers ask a delivery for: root's, by a MAC that is none. */

/** An envelope of the message, from this host to root, whose `action` and `exec` are what the attacker wants them to be. */
export function rootEnvelope(message: string, wanted: { readonly action: string; readonly exec: string }) {
  const box = { local: "root", domain: "example.org" };
  const address = "local", hostname = "localhost";
  return {
    id: `${message}00000001`,
    sender: null,
    rcpt: box,
    dest: box,
    origin: { address, hostname, helo: hostname, smtpname: hostname, tag: "", username: "", authenticated: true },
    dsn: { notify: 0, ret: "", envid: "", orcpt: "" },
    agent: "mda",
    internal: true,
    createdAt: 1,
    user: "root",
    subAddress: "",
    mac: "0".repeat(64),
    ...wanted,
  };
}
