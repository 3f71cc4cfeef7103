import fs from 'node:fs';
export default () => 1;
