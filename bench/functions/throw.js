export default function () {
  throw new Error('thrown on purpose');
}
