export default function(req) {
  const ä = 'ü'; const x = ;
}
