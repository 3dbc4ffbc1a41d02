/** The made-up daemon of the page's tests answers as the real one does: by the description of the API. */

import { equal, ok } from "node:assert/strict";
import { Description } from "./description.ts";
import { appOf, sourceOf } from "./fakes.ts";
import { FakeServer } from "./page/fake_server.ts";

const ASKED = [
  "overview",
  "series?hours=24",
  "messages?q=linus",
  "messages/5f3a1b2a",
  "messages/5f3a1b2a?dialogue=1",
  "messages/00000000",
  "queue?limit=10",
  "queue/5f3a1b00001c0000",
  "queue/0000000000000001",
  "lanes",
  "hosts",
  "sessions",
  "certificates",
  "checkup",
  "walls",
  "session",
];

Deno.test("what the page is tested with is what the API answers", async () => {
  const description = new Description(await (await appOf(sourceOf())("/api/v1/openapi.json")).json());
  const fake = new FakeServer();
  try {
    for (const path of ASKED) {
      const response = await fetch(`${fake.url}api/v1/${path}`);
      description.check("GET", `/api/v1/${path}`, {
        status: response.status,
        headers: { "content-type": response.headers.get("content-type") ?? "" },
        json: await response.json(),
      });
    }
    const refused = await fetch(`${fake.url}api/v1/queue/5f3a1b00001c0000/hold`, { method: "POST" });
    equal(refused.status, 401);
    ok((await refused.json()).type.endsWith(":login-needed"));
  } finally {
    await fake.stop();
  }
});
