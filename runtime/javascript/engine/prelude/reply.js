// What reply.c asks about the headers that a handler returned.

native.headerList = (headers) => {
  if (typeof headers[Symbol.iterator] === 'function') return [...headers];
  return Object.entries(headers);
};
