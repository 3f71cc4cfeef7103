export default function() {
  if (true) {
    return 1;
}
