"use strict";
/* The live page is made of parts, each a function that adds to one object.  A worker gets the text of those that it
   needs, so that the page works from a disk, where a worker cannot load a script. */
const geomlibLive = {
  parts: {},
  networks: [],
  offered: {},

  /** Take a part; it is run here at once. */
  define(name, part) {
    this.parts[name] = part;
    part(this);
  },

  /** What a script with weights calls. */
  offer(network) {
    this.offered[network.name] = network;
  },

  /** Source of a worker that consists of the named parts. */
  workerSource(names) {
    const texts = names.map((name) => `(${this.parts[name]})(live);`);
    return ['"use strict";', "const live = {};", ...texts, "live.serve(self);"].join("\n");
  },
};
