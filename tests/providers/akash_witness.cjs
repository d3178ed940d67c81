// Makes the manifest of an SDL with the market's own SDK: SDL on stdin, JSON on stdout.
// The package is looked for where AKASH_SDK_DIR says (a folder with node_modules).
const { createRequire } = require("module");
const fs = require("fs");
const path = require("path");

const from = createRequire(path.join(process.env.AKASH_SDK_DIR || process.cwd(), "index.js"));
const sdk = from("@akashnetwork/chain-sdk");

(async () => {
  const sdl = sdk.yaml([fs.readFileSync(0, "utf8")]);
  const made = sdk.generateManifest(sdl);
  const found = made.value ?? made;
  if (!found.groups) {
    console.error(JSON.stringify(made));
    process.exit(2);
  }
  const version = await sdk.generateManifestVersion(found.groups);
  process.stdout.write(
    JSON.stringify({
      manifest: sdk.manifestToSortedJSON(found.groups),
      hash: Buffer.from(version).toString("base64"),
      names: found.groupSpecs.map((group) => group.name),
    }),
  );
})();
