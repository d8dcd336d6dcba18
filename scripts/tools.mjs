// What has to be on the machine before anything can be installed or built, each with one clear line.
import { spawnSync } from 'node:child_process';

const minimalNode = '20';
const minimalCmake = '3.18';

export function stop(message) {
  console.error(`kindling: ${message}`);
  process.exit(1);
}

function isAtLeast(version, wanted) {
  const [a, b] = [version, wanted].map((v) => v.split('.').map(Number));
  for (let i = 0; i < b.length; i++) if ((a[i] ?? 0) !== b[i]) return (a[i] ?? 0) > b[i];
  return true;
}

/** What `command --version` says, or null when there is no such command. */
function versionOf(command) {
  const { status, stdout } = spawnSync(command, ['--version'], { encoding: 'utf8' });
  return status === 0 ? (/\d+(\.\d+)+/.exec(stdout)?.[0] ?? '0') : null;
}

/** A program of C++17 that needs the standard library's headers too, not only the compiler. */
const probe = '#include <string_view>\nconstexpr std::string_view s = "17";\nstatic_assert(s.size() == 2);\n';

function compilerProblem() {
  // CXX may carry arguments, as in CXX="ccache g++".
  const candidates = process.env.CXX ? [process.env.CXX] : ['c++', 'g++', 'clang++'];
  const found = candidates.map((line) => line.trim().split(/\s+/)).find(([command]) => versionOf(command) !== null);
  if (found === undefined) {
    return `no C++17 compiler was found (tried ${candidates.join(', ')}); install g++ or clang++, or set CXX`;
  }
  const [command, ...args] = found;
  const flags = ['-std=c++17', '-fsyntax-only', '-x', 'c++', '-'];
  if (spawnSync(command, [...args, ...flags], { input: probe }).status === 0) return null;
  return `${found.join(' ')} does not compile C++17; install a newer g++ or clang++, or set CXX`;
}

/** One line about the first tool that is missing, or null. */
function missingTool() {
  const cmake = versionOf('cmake');
  if (cmake === null) return `cmake is not installed; ${minimalCmake} or newer is needed to build the native core`;
  if (!isAtLeast(cmake, minimalCmake)) return `cmake ${minimalCmake} or newer is needed, this is ${cmake}`;
  const problem = compilerProblem();
  if (problem !== null) return problem;
  if (versionOf('ninja') === null && versionOf('make') === null) {
    return 'neither make nor ninja is installed; cmake needs one of them to build the native core';
  }
  return null;
}

export function requireNode() {
  const { node } = process.versions;
  if (!isAtLeast(node, minimalNode)) stop(`Node ${minimalNode} or newer is needed, this is ${node}`);
}

/** Ends the process with a line about it if something for the native build is missing. */
export function requireTools() {
  requireNode();
  const problem = missingTool();
  if (problem !== null) stop(problem);
}
