// Judges tokens with the market's own SDK: a JSON list of tokens or payloads on stdin, verdicts out.
// The package is looked for where AKASH_SDK_DIR says (a folder with node_modules).
const { createRequire } = require("module");
const fs = require("fs");
const path = require("path");

const from = createRequire(path.join(process.env.AKASH_SDK_DIR || process.cwd(), "index.js"));
const { JwtValidator } = from("@akashnetwork/chain-sdk");

const validator = new JwtValidator();
const verdicts = JSON.parse(fs.readFileSync(0, "utf8")).map((token) => {
  const { isValid, errors } = validator.validateToken(token);
  return { isValid, errors };
});
process.stdout.write(JSON.stringify(verdicts));
