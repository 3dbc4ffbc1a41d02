/**
 * Adds a health check to an image: `health_check.ts LAYOUT TAG`. The specification of OCI has none; Docker reads `Healthcheck` of its own images in the
 * configuration of OCI images too, and others ignore it. Blobs are named by their checksum, so the manifest and the index change with it.
 */

const [layout, tag] = Deno.args;
const SECOND_NS = 1_000_000_000;
const HEALTH_CHECK = {
  Test: ["CMD", "/usr/sbin/smtpctl", "show", "status"],
  Interval: 60 * SECOND_NS,
  Timeout: 20 * SECOND_NS,
  StartPeriod: 60 * SECOND_NS,
  Retries: 3,
};

interface Descriptor {
  digest: string;
  size: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

function fileOf(digest: string): string {
  return `${layout}/blobs/${digest.replace(":", "/")}`;
}

/** Reads what the descriptor names, has `change` change it, writes it under its new name, and changes the descriptor. */
async function rewrite<T>(descriptor: Descriptor, change: (value: T) => void | Promise<void>): Promise<void> {
  const value = JSON.parse(Deno.readTextFileSync(fileOf(descriptor.digest))) as T;
  await change(value);
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  descriptor.digest = `sha256:${hash.toHex()}`;
  descriptor.size = bytes.length;
  Deno.writeFileSync(fileOf(descriptor.digest), bytes);
}

const index = JSON.parse(Deno.readTextFileSync(`${layout}/index.json`)) as { readonly manifests: Descriptor[] };
const image = index.manifests.find(({ annotations }) => annotations?.["org.opencontainers.image.ref.name"] === tag);
if (image === undefined) throw new Error(`${layout} has no image ${tag}`);
await rewrite<{ readonly config: Descriptor }>(image, async (manifest) => {
  await rewrite<{ readonly config: Record<string, unknown> }>(manifest.config, ({ config }) => {
    config.Healthcheck = HEALTH_CHECK;
  });
});
Deno.writeTextFileSync(`${layout}/index.json`, JSON.stringify(index));
