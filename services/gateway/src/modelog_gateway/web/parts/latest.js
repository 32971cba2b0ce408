// Of several times that a page is asked to show itself, only the last one counts, in whichever order the answers come.

// `draw(awaited)` asks by `await awaited(answers)`, which goes no further once the page was asked for something newer; who waits for
// an older one waits for the newest. Gives what it returns.
export function latest(draw) {
  let last;
  return function show() {
    const mine = { done: undefined };
    const current = async (answers) => {
      const answered = await answers;
      if (last !== mine) throw new Error("Something newer is asked for.");
      return answered;
    };
    last = mine;
    return mine.done = draw(current).catch((error) => {
      if (last !== mine) return last.done;
      throw error;
    });
  };
}

// Whether the address says something else than the last time: then fields are filled by it, and else left as somebody has them.
export function newly() {
  let before;
  return (query) => {
    const now = String(query), changed = now !== before;
    before = now;
    return changed;
  };
}
