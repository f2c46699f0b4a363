// Loads of which only the latest counts.

/**
 * Wrap a load: a call that a later one has superseded resolves with null, also where it fails.
 * @template {unknown[]} Arguments
 * @template Loaded
 * @param {(...given: Arguments) => Promise<Loaded>} load
 * @returns {(...given: Arguments) => Promise<Loaded | null>}
 */
export function latestOnly(load) {
  let calls = 0;
  return async (...given) => {
    const call = ++calls;
    try {
      const loaded = await load(...given);
      return call === calls ? loaded : null;
    } catch (error) {
      if (call === calls) throw error;
      return null;
    }
  };
}
