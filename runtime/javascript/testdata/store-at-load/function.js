let store;
export default (req, context) => (store = context.aleph.store, 'ok');
