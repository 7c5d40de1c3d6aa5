import manifest from '../package.json' with { type: 'json' };

/** Version of this program, stored with every Run. */
export const CODE_VERSION: string = manifest.version;
