"""The built-in policy ``blocked_words``.

::

    policy      finds the words in a message, and masks or forbids it
    folding     makes texts that look alike equal
    languages   tells a disguised word from one in another language
"""
