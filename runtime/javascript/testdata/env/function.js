const atLoad = process.env.MODE;
export default () => ({ atLoad, now: process.env.MODE, keys: Object.keys(process.env), missing: process.env.NOPE === undefined, platform: process.platform, version: process.version.split('.')[0], cwd: process.cwd() });
