/** Accounts as text: values of a userbase table, and lines of passwd(5). Reads no file. */

/** A local account, real or of a userbase table. */
export interface UserInfo {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** Highest uid and gid; the one above it means "unchanged" to the system calls that set them. */
const MAX_ID = 0xffff_fffe;

/** Value `uid:gid:home` of a userbase; the home may hold colons. Null when it is malformed. */
export function parseUserInfo(name: string, value: string): UserInfo | null {
  const match = /^(\d{1,10}):(\d{1,10}):(.+)$/.exec(value);
  return match === null ? null : userInfo(name, match[1]!, match[2]!, match[3]!);
}

/** One line of passwd(5), `name:password:uid:gid:gecos:home:shell`. Null for a line that is no account. */
export function parsePasswdLine(line: string): UserInfo | null {
  const [name = "", , uid = "", gid = "", , home = ""] = line.split(":");
  if (name === "" || !/^\d{1,10}$/.test(uid) || !/^\d{1,10}$/.test(gid)) return null;
  return userInfo(name, uid, gid, home);
}

function userInfo(name: string, uid: string, gid: string, home: string): UserInfo | null {
  const info = { name, uid: Number(uid), gid: Number(gid), home };
  return info.uid > MAX_ID || info.gid > MAX_ID ? null : info;
}

/** All accounts of a passwd(5) file by name; of two with one name the first counts, as for the C library. */
export function parsePasswd(text: string): Map<string, UserInfo> {
  const accounts = new Map<string, UserInfo>();
  for (const line of text.split("\n")) {
    const info = parsePasswdLine(line);
    if (info !== null && !accounts.has(info.name)) accounts.set(info.name, info);
  }
  return accounts;
}
