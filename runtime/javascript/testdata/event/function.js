export default function (req, context) {
  if (req.path === '/same') return [context.event === context.event, context.event.message === req.body, Object.keys(context).includes('event')];
  if (req.path === '/replace') {
    context.event = { replaced: true };
    return context.event;
  }
  return { event: context.event, body: req.body, method: req.method, path: req.path };
}
