// A classic script in the head: the scheme is chosen before the first paint.
'use strict';

(() => {
  const KEY = 'mitouts-review:theme';
  const NEXT = { auto: 'light', light: 'dark', dark: 'auto' };
  const WORDS = { auto: 'Auto', light: 'Light', dark: 'Dark' };

  const stored = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage is forbidden in this browser
    }
  };

  const apply = (theme) => {
    if (theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  };

  let theme = stored() in NEXT ? stored() : 'auto';
  apply(theme);

  addEventListener('DOMContentLoaded', () => {
    const button = document.getElementById('theme');
    const show = () => {
      document.getElementById('theme-name').textContent = WORDS[theme];
      button.setAttribute('aria-label', `Colours: ${WORDS[theme]}; change to ${WORDS[NEXT[theme]]}`);
    };
    show();
    button.addEventListener('click', () => {
      theme = NEXT[theme];
      apply(theme);
      show();
      try {
        localStorage.setItem(KEY, theme);
      } catch {
        // the choice then lasts as long as the page
      }
    });
  });
})();
