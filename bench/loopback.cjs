// Preloaded into peers that would listen on every interface: whatever they ask for, they listen on 127.0.0.1 only.
const net = require('net')
const listen = net.Server.prototype.listen

net.Server.prototype.listen = function (first, ...rest) {
  const asked = typeof first === 'object' ? first : { port: first }
  return listen.call(this, { ...asked, host: '127.0.0.1' }, ...rest.filter((each) => typeof each === 'function'))
}
