module.exports = function (req) {
  return req.query.;
};
