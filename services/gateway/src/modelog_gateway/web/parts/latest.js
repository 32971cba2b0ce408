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

// Fields are filled by what the address says when it says something else than the last time, and else left as somebody has them.
export function newly(fill) {
  let before;
  return (query) => {
    const now = String(query);
    if (now !== before) fill(query);
    before = now;
  };
}
