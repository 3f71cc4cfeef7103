export const other = () => 'other';
export default () => 'default';
