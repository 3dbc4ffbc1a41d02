/** The description of the API: it has every route, and every route is in it. */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { appOf } from "./fakes.ts";

const document = await (await appOf()("/api/v1/openapi.json")).json();

Deno.test("the description is OpenAPI 3.1 and has every route of the API with its methods, and no other", () => {
  equal(document.openapi, "3.1.0");
  const described = Object.entries(document.paths as Record<string, object>).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`)
  );
  const served = appOf().app.routes.filter(({ path }) => path.startsWith("/api/v1/")).map(({ method, path }) =>
    `${method} ${path.replaceAll(/:(\w+)(?:\{[^}]*\})?/g, "{$1}")}`
  );
  deepEqual(described.toSorted(), [...new Set(served)].toSorted());
  ok(described.length >= 24, `${described.length} routes`);
});

Deno.test("each route says what it does, what it answers, and which parameters its path has", () => {
  for (const [path, methods] of Object.entries(document.paths as Record<string, Record<string, Operation>>)) {
    for (const [method, { summary, responses, parameters = [], security }] of Object.entries(methods)) {
      const name = `${method} ${path}`;
      ok(summary.length > 5, name);
      for (const status of [200, 400, 401, 403, 421, 429, 503]) ok(status in responses, `${name} ${status}`);
      const inPath = parameters.filter((one) => one.in === "path").map((one) => `{${one.name}}`);
      deepEqual(path.match(/\{\w+\}/g) ?? [], inPath, name);
      ok(path.endsWith("/session") || security !== undefined, name);
    }
  }
});

Deno.test("the names of all fields are in camelCase, and all references lead somewhere", () => {
  const { schemas } = document.components as { schemas: Record<string, { properties?: object }> };
  for (const { properties = {} } of Object.values(schemas)) {
    for (const name of Object.keys(properties)) match(name, /^[a-z][a-zA-Z0-9]*$/);
  }
  for (const [, name] of JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
    ok(name! in schemas, name);
  }
});

interface Operation {
  readonly summary: string;
  readonly responses: object;
  readonly parameters?: readonly { readonly in: string; readonly name: string }[];
  readonly security?: unknown;
}
