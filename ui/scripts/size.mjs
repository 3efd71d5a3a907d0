// Says how large the app's files are, compressed, and fails above the limit.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const LIMIT_KB = 150;
const dist = fileURLToPath(new URL("../dist", import.meta.url));
const files = (folder) => readdirSync(folder).flatMap((name) => {
  const path = join(folder, name);
  return statSync(path).isDirectory() ? files(path) : [path];
});
let total = 0;
for (const path of files(dist)) {
  const size = gzipSync(readFileSync(path), { level: 9 }).length;
  total += size;
  console.log(`${(size / 1000).toFixed(1).padStart(8)} kB  ${path.slice(dist.length + 1)}`);
}
console.log(`${(total / 1000).toFixed(1).padStart(8)} kB  compressed, of ${LIMIT_KB} kB`);
if (total > LIMIT_KB * 1000) {
  console.error("The app's files are larger than the limit.");
  process.exit(1);
}
