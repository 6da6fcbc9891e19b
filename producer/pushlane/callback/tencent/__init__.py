"""The protocol of Tencent Chat's callbacks.

::

    signature       whether a request comes from the platform
    question        what it asks: a message to judge
    elements        every text in a message's elements, as people see it
    element_forms   what each kind of element must look like
    answer          the answers that the platform understands
"""
