import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { openNearestRows } from '../../src/adapters/ort/nearestRows.ts';
import { nearest } from '../../src/pipelines/nearest.ts';
import { nearestDictionaries, nearestSources } from '../helpers/nearestSources.ts';
import { quietProgress } from '../helpers/quietProgress.ts';

/** Finds nearest features into the folder named, and kills itself while it writes file number N of its own. */
const [folder, last] = process.argv.slice(2);
const artefacts = fileArtefacts();
let written = 0;
const dying: typeof artefacts = {
  ...artefacts,
  async writeTensors(...args) {
    const writing = artefacts.writeTensors(...args);
    if (++written === Number(last)) process.kill(process.pid, 'SIGKILL');
    await writing;
  },
};
const rows = openNearestRows(1);
await nearest({ dictionaries: nearestSources(nearestDictionaries([60, 90, 40, 70])), k: 5, within: null, rows, artefacts: dying, progress: quietProgress(), dir: folder });
await rows.close();
